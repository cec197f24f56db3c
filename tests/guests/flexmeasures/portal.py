"""FlexMeasures with the plugin, on its own PostgreSQL, which the plugin finds by itself."""

from flexmeasures.app import create
from settings import give_token, listen, settings

from portal_actions_plugin import PortalActions

app = create(env="development")
app.config.update(settings())
PortalActions(app)
listen(app)
give_token(app)
