"""Files in and out; a module for each kind, imported where it is used."""
