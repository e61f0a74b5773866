"""Tests of the routes to models and of the reasoner, against a scripted model server on the loopback interface."""
