"""L_feat, L_cls and L_box, and the gradient of L_cls with the KL divergence."""

from math import exp, log1p


def feature_term(features_S, features_T, masks):
    """mean over levels of  1 / (2 N_l C) sum_n,c,i,j M (A(F_S) - F_T)^2,  N_l = max(1, sum M).

    Where M is 0, the features are not looked at.
    """
    total = 0.0
    for F_S, F_T, M in zip(features_S, features_T, masks, strict=True):
        images, channels, height, width = len(F_S), len(F_S[0]), len(M[0]), len(M[0][0])
        error, mass = 0.0, 0.0
        for n in range(images):
            for i in range(height):
                for j in range(width):
                    mass += M[n][i][j]
                    for c in range(channels) if M[n][i][j] else ():
                        error += M[n][i][j] * (F_S[n][c][i][j] - F_T[n][c][i][j]) ** 2
        total += error / (2 * max(1.0, mass) * channels)
    return total / len(masks)


def logit_term(z_S, z_T, gate, tau, divergence):
    """tau^2 / N sum_i g_i D( softmax(z_T,i / tau) || softmax(z_S,i / tau) )."""
    if not len(gate):
        return 0.0
    total = 0.0
    for row_S, row_T, g in zip(z_S, z_T, gate, strict=True):
        if g:
            total += divergence([z / tau for z in row_T], [z / tau for z in row_S])
    return tau**2 / len(gate) * total


def kl(z_T, z_S):
    """sum_k p_T log(p_T / p_S)."""
    return sum(
        exp(log_p_T) * (log_p_T - log_p_S)
        for log_p_T, log_p_S in zip(log_softmax(z_T), log_softmax(z_S), strict=True)
    )


def bce(z_T, z_S):
    """sum_k -p_T log p_S - (1 - p_T) log(1 - p_S)."""
    p_T, log_p_S = softmax(z_T), log_softmax(z_S)
    total = 0.0
    for k in range(len(z_T)):
        # 1 - p_k is the probability of all the others, which does not cancel.
        log_others = log_sum_exp([z for j, z in enumerate(z_S) if j != k]) - log_sum_exp(z_S)
        total -= p_T[k] * log_p_S[k] + (1 - p_T[k]) * log_others
    return total


def kl_gradient(z_S, z_T, gate, tau):
    """d L_cls / d z_S,i = tau / N g_i (softmax(z_S,i / tau) - softmax(z_T,i / tau))."""
    gradient = []
    for row_S, row_T, g in zip(z_S, z_T, gate, strict=True):
        if not g:
            gradient.append([0.0] * len(row_S))
            continue
        p_S, p_T = softmax([z / tau for z in row_S]), softmax([z / tau for z in row_T])
        gradient.append([tau / len(gate) * (s - t) for s, t in zip(p_S, p_T, strict=True)])
    return gradient


def bce_gradient(z_S, z_T, gate, tau):
    """d L_cls / d z_S,i with the binary cross entropies, by the chain rule.

    With q_k = 1 - p_S,k:  d/dz_j = sum_k (p_T,k - (1 - p_T,k) p_S,k / q_k) (p_S,j - [j = k]).
    """
    gradient = []
    for row_S, row_T, g in zip(z_S, z_T, gate, strict=True):
        if not g:
            gradient.append([0.0] * len(row_S))
            continue
        z = [v / tau for v in row_S]
        p_T, log_p = softmax([v / tau for v in row_T]), log_softmax(z)
        log_q = [
            log_sum_exp([v for j, v in enumerate(z) if j != k]) - log_sum_exp(z)
            for k in range(len(z))
        ]
        row = []
        for j in range(len(z)):
            slope = 0.0
            for k in range(len(z)):
                # (p_S,j - [j = k]) is -q_k where j = k, and p_S,k p_S,j / q_k is a probability.
                if j == k:
                    slope += -p_T[k] * exp(log_q[k]) + (1 - p_T[k]) * exp(log_p[k])
                else:
                    share = exp(log_p[j] - log_q[k])
                    slope += p_T[k] * exp(log_p[j]) - (1 - p_T[k]) * exp(log_p[k]) * share
            row.append(tau / len(gate) * slope)
        gradient.append(row)
    return gradient


def box_term(deltas_S, targets, gate, beta):
    """1 / N sum_i g_i smooth_l1( delta_S,i - target_i )."""
    if not len(gate):
        return 0.0
    total = 0.0
    for row, target, g in zip(deltas_S, targets, gate, strict=True):
        if g:
            total += sum(smooth_l1(s - t, beta) for s, t in zip(row, target, strict=True))
    return total / len(gate)


def smooth_l1(x, beta):
    """x^2 / (2 beta) where |x| < beta, else |x| - beta / 2."""
    if abs(x) < beta:
        return x**2 / (2 * beta)
    return abs(x) - beta / 2


def log_sum_exp(z):
    """Log of the sum of exp(z), of which the largest is taken out first."""
    top = max(range(len(z)), key=lambda k: z[k])
    return z[top] + log1p(sum(exp(z[k] - z[top]) for k in range(len(z)) if k != top))


def log_softmax(z):
    """z - log sum exp(z)."""
    return [z_k - log_sum_exp(z) for z_k in z]


def softmax(z):
    """exp(z) / sum exp(z)."""
    largest = max(z)
    total = sum(exp(z_k - largest) for z_k in z)
    return [exp(z_k - largest) / total for z_k in z]
