"""The grammar of .dhm files and the library written in the language itself."""
