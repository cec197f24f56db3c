"""The database: sessions and engines, tables and their migrations, and what is written in SQL."""
