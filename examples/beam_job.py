"""Beam outside of Spark: a pipeline whose workers run with the packages of an archive.

boat conf --for beam --pip apache-beam --pip edtf     # which options to give
/opt/boat/bin/python3.11 examples/beam_job.py OUT OPTIONS
"""

import sys

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


def year(text):
    import edtf

    return f"{edtf.parse_edtf(text).lower_strict().tm_year} {sys.executable}"


with beam.Pipeline(options=PipelineOptions(sys.argv[2:], save_main_session=True)) as pipeline:
    years = pipeline | beam.Create(["1984-06?", "2004-06/2006-08"]) | beam.Map(year)
    years | beam.io.WriteToText(sys.argv[1], shard_name_template="")
