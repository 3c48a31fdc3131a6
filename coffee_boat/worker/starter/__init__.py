"""What a starter has besides an interpreter: it unpacks the environment once a node, and becomes
its interpreter (docs/concepts/node-store.md).

Standard library only, Python 3.10 and up, nothing happens at import. Starters carry this folder as
`coffee_boat_starter`, started by coffee_boat_starter.pth. Hence relative imports only.
"""
