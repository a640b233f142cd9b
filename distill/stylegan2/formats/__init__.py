"""The four file formats of StyleGAN2 weights, read as data: `distill.stylegan2.checkpoint` is the door.

`unpickle` is the restricted pickle machine, `torch_archive` the containers of torch.save; a converter per origin
turns what they hold into the public state names of `state`.
"""
