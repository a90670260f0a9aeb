"""Having checkpoints cosigned by witnesses: asking them, keeping what they say, noticing what they refuse."""
