"""Store and forward through kills, power losses and a day without a link: is every record there?"""
