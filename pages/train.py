"""Train: models as background jobs, and the runs that they leave."""

import streamlit as st

from cradle.ui import jobs_view, run_list, train_view
from cradle.ui.errors import guard
from cradle.ui.frame import show
from cradle.ui.sidebar import Choices


def body(choices: Choices) -> None:
    st.subheader("New run")
    with guard():
        request = train_view.ask(choices)
        if request is not None:
            train_view.start(request)
            st.toast(f"{request.name} is in the queue.", icon=":material/queue:")
    st.subheader("Jobs")
    jobs_view.queue_view("fit")
    entries = run_list.listing()
    if entries:
        run_list.card(entries, None if choices.run is None else choices.run.name)


show("train", body)
