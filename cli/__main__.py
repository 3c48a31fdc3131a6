"""python -m coffee_boat.cli"""

from coffee_boat.cli.main import main

main()
