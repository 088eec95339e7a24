"""Simulates a server with one model version: any discipline, on any machine, under any load."""
