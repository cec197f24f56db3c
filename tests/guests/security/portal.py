"""A portal with what many Flask portals have: Flask-Security, Talisman, Session, Babel and Limiter, and the plugin."""

from flask import Flask
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_security import Security, SQLAlchemyUserDatastore
from flask_security.models import fsqla_v3 as fsqla
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from flask_talisman import Talisman
from flask_wtf import CSRFProtect
from redis import Redis
from settings import FOLDER, give_token, listen, settings

from portal_actions_plugin import PortalActions

app = Flask(__name__, instance_path=str(FOLDER))
app.config.update(
    settings(),
    SQLALCHEMY_DATABASE_URI=f"sqlite:///{FOLDER}/app.db",
    SECURITY_PASSWORD_SALT="146585145368132386173505678016728509634",
    SECURITY_PASSWORD_HASH="pbkdf2_sha512",
    SECURITY_PASSWORD_SCHEMES=["pbkdf2_sha512"],
    SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
    SESSION_TYPE="redis",
)
app.config["SESSION_REDIS"] = Redis.from_url(app.config["PORTAL_ACTIONS_REDIS_URL"])
db = SQLAlchemy(app)
fsqla.FsModels.set_db_info(db)


class Role(db.Model, fsqla.FsRoleMixin):
    pass


class User(db.Model, fsqla.FsUserMixin):
    pass


Babel(app)
Session(app)
CSRFProtect(app)
Talisman(app, force_https=False, session_cookie_secure=False)
Limiter(get_remote_address, app=app, default_limits=["10000 per hour"], storage_uri="memory://")
app.security = Security(app, SQLAlchemyUserDatastore(db, User, Role))
PortalActions(app)
listen(app)
give_token(app)


@app.get("/")
def home() -> str:
    """Where Flask-Security leads to after the sign-in."""
    return "home"


@app.cli.command("make-user")
def make_user() -> None:
    """Make the tables and somebody who may sign in."""
    from flask_security import hash_password

    db.create_all()
    store = app.security.datastore
    store.create_role(name="admin")
    store.create_user(email="ada@example.com", password=hash_password("a password of the night"), roles=["admin"])
    store.commit()
