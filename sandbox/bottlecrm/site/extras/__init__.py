"""The add-on: what BottleCRM lacks for a bridge, added from outside and without touching its code."""
