"""What a trading engine imports: checked records on their way to the books.

contract/   what a record is: its fields, numbers, times and symbols, what it states, where it travels. Standard library only,
            and the same code that the worker of `jarvis-trading` checks with
"""

__version__ = "0.1.0"
