#!/usr/bin/env python3
"""How often nominal 95 % intervals of IPS and SNIPS hold the truth, by effective sample size.

Two arms; the first is logged with probability 0.05 or 0.5 (a fair coin per row), the target always
takes it; rewards are Bernoulli(0.3). Prints rows, mean effective sample size, coverage of IPS and of
SNIPS. Standard library only, seeded.
"""
import math
import random

VALUE = 0.3
Z = 1.959963984540054


def draw(generator, rows):
    weights, rewards = [], []
    for _ in range(rows):
        propensity = generator.choice([0.05, 0.5])
        weights.append(1 / propensity if generator.random() < propensity else 0.0)
        rewards.append(1.0 if generator.random() < VALUE else 0.0)
    return weights, rewards


def holds(value, terms):
    n = len(terms)
    centre = sum(terms) / n
    error = math.sqrt(sum((t - centre) ** 2 for t in terms) / (n - 1) / n)
    return abs(value - VALUE) <= Z * error


def main():
    generator = random.Random(1)
    print("rows effective ips snips")
    for rows in (20, 40, 80, 160, 320, 640, 1280):
        runs = effective = ips = snips = 0
        while runs < 1000:
            weights, rewards = draw(generator, rows)
            total = sum(weights)
            if total == 0:
                continue
            runs += 1
            effective += total * total / sum(w * w for w in weights)
            terms = [w * r for w, r in zip(weights, rewards)]
            ips += holds(sum(terms) / rows, terms)
            value = sum(terms) / total
            influence = [w * (r - value) * rows / total for w, r in zip(weights, rewards)]
            # The influence terms have mean 0: shift them to the estimate.
            snips += holds(value, [value + t for t in influence])
        print(rows, f"{effective / runs:.1f} {ips / runs:.3f} {snips / runs:.3f}")


main()
