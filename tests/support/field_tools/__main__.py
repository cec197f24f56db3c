from tests.support.field_tools import NotToBeHadError, install

try:
    install()
except NotToBeHadError as error:
    raise SystemExit(str(error)) from None
