"""What people wrote in YAML, as values that cannot be wrong.

For: reading profiles, categories and settings; the only room that reads YAML.
In -> out: files -> typed values of model/, or every problem at once as file:line:column.
May touch: the files it is given, for reading; `schema` writes the editors' JSON Schemas.
Must not know: what the values are used for; any other room but model.
"""
