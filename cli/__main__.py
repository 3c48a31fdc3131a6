"""python -m coffee_boat.cli"""

from coffee_boat.cli.start import main

main()
