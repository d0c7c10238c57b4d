"""Serving: every delta below a directory is a task, and one backbone answers for all of them, mixed in one batch.

found.py finds the deltas; parts.py takes a tuned model apart; backbone.py puts the parts of many tasks into one forward
pass; engine.py knows the tasks; batcher.py makes batches of what waits; app.py speaks HTTP; server.py starts and stops.
"""
