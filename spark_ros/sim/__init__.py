"""Simulated worlds: MuJoCo scenes with an arm, tasks with a success rule, and scripted experts.

`world.World` is one episode after another; `render.Renderer` draws it; `registry` is where arms, tasks and experts
are found. Nothing here knows about ROS or torch.
"""
