"""Rules on candidates: evaluation, reasons, verdicts on one member and on a whole fleet.  Files are not known here."""
