"""What people judge by: students and teachers in numbers and pictures."""
