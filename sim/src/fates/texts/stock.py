from collections import defaultdict
from datetime import date


class StockError(Exception):
    """Raised when a movement would leave less than nothing."""


class Movement:
    def __init__(self, item, quantity, day=None):
        self.item = item
        self.quantity = quantity
        self.day = day or date.today()

    def is_delivery(self):
        return self.quantity > 0

    def __repr__(self):
        return f"Movement({self.item!r}, {self.quantity}, {self.day})"


class Stock:
    def __init__(self):
        self.levels = defaultdict(int)
        self.history = []

    def move(self, item, quantity, day=None):
        level = self.levels[item] + quantity
        if level < 0:
            raise StockError(f"only {self.levels[item]} of {item} left")
        self.levels[item] = level
        movement = Movement(item, quantity, day)
        self.history.append(movement)
        return movement

    def deliver(self, item, quantity, day=None):
        if quantity <= 0:
            raise ValueError("a delivery must be positive")
        return self.move(item, quantity, day)

    def sell(self, item, quantity, day=None):
        if quantity <= 0:
            raise ValueError("a sale must be positive")
        return self.move(item, -quantity, day)

    def total(self, predicate=None):
        chosen = self.levels.values()
        if predicate is not None:
            chosen = [level for item, level in self.levels.items() if predicate(item)]
        return sum(chosen)

    def sold_between(self, first, last):
        sold = defaultdict(int)
        for movement in self.history:
            if movement.is_delivery():
                continue
            if first <= movement.day <= last:
                sold[movement.item] -= movement.quantity
        return dict(sold)

    def shortages(self, limits):
        short = []
        for item, limit in sorted(limits.items()):
            missing = limit - self.levels[item]
            if missing > 0:
                short.append((item, missing))
        return short


def report(stock, limits):
    lines = [f"{len(stock.levels)} items, {stock.total()} pieces"]
    for item, missing in stock.shortages(limits):
        lines.append(f"  order {missing} of {item}")
    if len(lines) == 1:
        lines.append("  nothing to order")
    return "\n".join(lines)


def read_movements(path):
    stock = Stock()
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            fields = line.strip().split(",")
            if len(fields) != 3:
                raise ValueError(f"line {number}: three fields expected")
            item, quantity, day = fields
            stock.move(item, int(quantity), date.fromisoformat(day))
    return stock
