"""Policy files: YAML with positions, the models of the documents, a set's canonical form.  Nothing is judged here."""
