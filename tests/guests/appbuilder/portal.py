"""A portal on Flask-AppBuilder, as its documentation begins one, with the plugin as the README puts it in."""

from flask import Flask
from flask_appbuilder import AppBuilder
from flask_appbuilder.models.sqla.base import SQLA
from flask_wtf import CSRFProtect
from settings import FOLDER, give_token, listen, settings

from portal_actions_plugin import PortalActions

app = Flask(__name__, instance_path=str(FOLDER))
app.config.update(
    settings(),
    SQLALCHEMY_DATABASE_URI=f"sqlite:///{FOLDER}/app.db",
    AUTH_TYPE=1,
    AUTH_ROLE_ADMIN="Admin",
    RATELIMIT_STORAGE_URI="memory://",
)
csrf = CSRFProtect(app)
db = SQLA(app)
with app.app_context():
    appbuilder = AppBuilder(app, db.session)
PortalActions(app)
listen(app)
give_token(app)
