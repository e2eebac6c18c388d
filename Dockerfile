# docker build -t cradle . && docker run --rm --read-only --tmpfs /tmp --cap-drop ALL \
#   --security-opt no-new-privileges -v cradle:/home/cradle -p 127.0.0.1:8501:8501 cradle
FROM python:3.11-slim-bookworm AS build
# annoy, which scrublet asks for, comes as source
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY requirements.lock /tmp/
RUN python -m venv /opt/venv \
    # the CPU build of the locked version; its own index gives its hashes
    && /opt/venv/bin/pip install --no-cache-dir --no-deps \
        "torch==$(sed -n 's/^torch==\([^ ]*\).*/\1/p' /tmp/requirements.lock)" \
        --index-url https://download.pytorch.org/whl/cpu \
    # everything else by hash; the parts of CUDA are left out, for torch is there already
    && awk '/^[a-z]/ {skip = /^(nvidia-|cuda-|triton|torch==)/} !skip' /tmp/requirements.lock \
        > /tmp/cpu.lock \
    && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/cpu.lock

FROM python:3.11-slim-bookworm
RUN useradd --create-home --uid 10001 --shell /usr/sbin/nologin cradle
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY app.py ./
COPY .streamlit .streamlit
COPY assets assets
COPY cradle cradle
COPY pages pages
USER 10001
# what the app writes (runs, downloads, uploads, compiled code) lies in one volume
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 \
    CRADLE_RUNS_DIR=/home/cradle/runs XDG_CACHE_HOME=/home/cradle/cache \
    NUMBA_CACHE_DIR=/home/cradle/cache/numba MPLCONFIGDIR=/home/cradle/cache/matplotlib
VOLUME /home/cradle
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
# all interfaces of the container; publish it to 127.0.0.1 only, for the app has no login;
# with the browser's address given, Streamlit asks no outside host for its own at the start
CMD ["streamlit", "run", "app.py", "--server.headless=true", "--server.address=0.0.0.0", \
    "--browser.serverAddress=127.0.0.1"]
