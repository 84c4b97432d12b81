"""The slips of a step of stochastic gradient descent with momentum: the new w, the new v."""

from __future__ import annotations

from .conv import Catalogue

# All are functions of w, g (its gradient), v (its velocity), lr and m (the momentum).
# Right is v = m v + g, then w = w - lr v.

W: Catalogue = {
    "uphill": (lambda w, g, v, lr, m: w + lr * (m * v + g),),
    "old_velocity": (lambda w, g, v, lr, m: w - lr * v,),
    "momentum_forgotten": (lambda w, g, v, lr, m: w - lr * g,),
    "velocity_without_decay": (lambda w, g, v, lr, m: w - lr * (v + g),),
    "momentum_on_gradient": (lambda w, g, v, lr, m: w - lr * (v + m * g),),
    "running_mean": (lambda w, g, v, lr, m: w - lr * (m * v + (1 - m) * g),),
    "lr_in_velocity": (lambda w, g, v, lr, m: w - (m * v + lr * g),),
    "lr_twice": (
        lambda w, g, v, lr, m: w - lr * (m * v + lr * g),
        lambda w, g, v, lr, m: w - lr * lr * (m * v + g),
    ),
    "velocity_minus_gradient": (
        lambda w, g, v, lr, m: w + lr * (m * v - g),
        lambda w, g, v, lr, m: w - lr * (m * v - g),
    ),
    "nesterov": (lambda w, g, v, lr, m: w - lr * (g + m * (m * v + g)),),
    "gradient_twice": (lambda w, g, v, lr, m: w - lr * (m * v + g + g),),
    "lr_forgotten": (lambda w, g, v, lr, m: w - (m * v + g),),
    "w_forgotten": (lambda w, g, v, lr, m: -lr * (m * v + g),),
    "weight_decayed": (lambda w, g, v, lr, m: m * w - lr * (m * v + g),),
    "lr_for_momentum": (lambda w, g, v, lr, m: w - m * (lr * v + g),),
    "unchanged": (lambda w, g, v, lr, m: w,),
}
V: Catalogue = {
    "velocity_without_decay": (lambda w, g, v, lr, m: v + g,),
    "momentum_on_gradient": (lambda w, g, v, lr, m: v + m * g,),
    "running_mean": (lambda w, g, v, lr, m: m * v + (1 - m) * g,),
    "lr_in_velocity": (lambda w, g, v, lr, m: m * v + lr * g,),
    "velocity_minus_gradient": (
        lambda w, g, v, lr, m: m * v - g,
        lambda w, g, v, lr, m: m * v - lr * g,
    ),
    "momentum_forgotten": (lambda w, g, v, lr, m: g,),
    "unchanged": (lambda w, g, v, lr, m: v,),
    "nesterov": (lambda w, g, v, lr, m: g + m * (m * v + g),),
    "lr_for_momentum": (lambda w, g, v, lr, m: lr * v + g,),
    "gradient_at_new_velocity": (lambda w, g, v, lr, m: m * (v + g),),
}
