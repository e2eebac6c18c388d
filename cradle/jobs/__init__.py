"""Background jobs: commands of this software that run on without the app that started them.

A job is a folder below the runs folder. Everything that is known about it is in files there, so
that whoever looks (this app, the next one, a person) sees the same.
"""
