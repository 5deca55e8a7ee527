"""The verbs of `spark-ros`, one module each: `add_to` describes it, what it does is imported when it runs."""
