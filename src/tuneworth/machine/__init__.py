"""This machine: how processes start on it, how fast it trains, how many trials it bears at once, what a time limit buys."""
