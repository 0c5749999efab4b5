"""What the books need of an engine (contract.py), the few words of SQL that engines do not share (dialect.py), and one folder per engine."""
