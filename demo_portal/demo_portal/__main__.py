"""``python -m demo_portal``."""

from demo_portal.start.command import main

if __name__ == "__main__":
    main()
