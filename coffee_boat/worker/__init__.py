"""What runs inside the executors' Python.

Standard library only, Python 3.9 and up, nothing happens at import. Archives carry this folder as
`coffee_boat_worker`, started by coffee_boat.pth; on the driver it is `coffee_boat.worker`. Hence
relative imports only.
"""
