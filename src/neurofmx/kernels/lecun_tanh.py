"""LeCun's hyperbolic tangent, 1.7159 tanh(2 x / 3) as ncps rounds it: what a backbone of CfC cells bends by.

Source:
    LeCun et al. 1998, Efficient BackProp, section 4.4; `ncps.torch.cfc_cell.LeCun`.
"""

LECUN_SCALE = 1.7159
LECUN_SLOPE = 0.666
