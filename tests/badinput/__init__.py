"""What is refused: wrong values for every public function, class and option."""
