"""The same run of three steps on other people's queues, each in a virtual environment of its own."""
