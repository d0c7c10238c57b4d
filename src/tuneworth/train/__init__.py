"""Training: the visible loop (`loop.py`) and the parts it is made of."""
