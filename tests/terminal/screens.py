"""A window that understands what `LivePart` writes, and nothing else."""

import re

_TOKEN = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])|(\n|\r)|([^\x1b\n\r]+)")


class Screen:
    """Rows that scroll up into `history`. A row may be filled without a line feed following."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.history: list[str] = []  # what has scrolled away and can be changed no more
        self.window = [""]
        self._row = 0
        self._is_at_start = True
        self.written = 0

    def write(self, data: str) -> None:
        self.written += len(data)
        at = 0
        while at < len(data):
            token = _TOKEN.match(data, at)
            assert token is not None, f"not understood: {data[at : at + 20]!r}"
            at = token.end()
            if token[4] is not None:
                self.window[self._row] = token[4] if self._is_at_start else self.window[self._row] + token[4]
                self._is_at_start = False
            elif token[3] == "\n":
                self._feed()
            elif token[3] == "\r":
                self._is_at_start = True
            else:
                self._obey(token[1], token[2])

    def _feed(self) -> None:
        self._row += 1
        self._is_at_start = True
        if self._row == len(self.window):
            self.window.append("")
        if self._row == self._rows:
            self.history.append(self.window.pop(0))
            self._row -= 1

    def _obey(self, argument: str, command: str) -> None:
        if command == "A":
            assert int(argument) <= self._row, "the cursor was sent above the window"
            self._row -= int(argument)
        elif command == "J":
            assert self._is_at_start
            self.window[self._row :] = [""]
        elif command == "K":
            assert self._is_at_start
            self.window[self._row] = ""
        else:
            assert command in "mhl", f"not understood: {command}"

    @property
    def everything(self) -> list[str]:
        lines = self.history + self.window
        while lines and not lines[-1]:
            lines.pop()
        return lines
