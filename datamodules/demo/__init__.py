"""The built-in demo people: faces that are drawn and speech that is made, so that no data need to be downloaded."""
