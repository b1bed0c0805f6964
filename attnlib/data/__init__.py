"""What people bring: images, archives, labels, masks, boxes."""
