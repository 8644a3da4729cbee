"""Many trials of one question: each audited, all pooled, each predicted from the others."""
