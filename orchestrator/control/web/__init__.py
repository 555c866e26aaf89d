"""`orchestrator serve`: running daemons as a web page, as metrics for Prometheus and as an HTTP API.

A process of its own. It knows the daemons by their control sockets (`daemons`, `link`), and serves what they say
(`app`) to those whom `guard` lets in.
"""
