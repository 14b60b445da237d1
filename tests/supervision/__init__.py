"""The figures that the supervisor has to reach, each as a test under load."""
