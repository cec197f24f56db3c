"""What gunicorn serves."""

from demo_portal import create_app

app = create_app()
