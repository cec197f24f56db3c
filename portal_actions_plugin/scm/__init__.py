"""Source code management: what a forge can do (``base``), which there are (``providers``), and the built-in ``local`` one."""
