"""A witness of other people's logs (C2SP tlog-witness): it cosigns what extends the last thing that it has seen."""
