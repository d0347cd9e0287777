"""The shapes of the data: documents, annotations, manifests, configuration.

Imports nothing else of Bibim, so that every other part may import it.
"""
