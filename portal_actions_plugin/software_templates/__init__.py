"""Software templates: found and read (``loader``), checked once (``checks``), and rendered step by step (``step_rendering``)."""
