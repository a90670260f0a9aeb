"""What an editor shows of policy files: problems as they are typed, what a name means, what could stand there, fixes.

Texts and positions in, values out; no editor and no protocol is known here.
"""
