"""What the stages know of Arabic news text: its layers, its languages, the furniture of its pages,
its dates, and the cues of its headlines.
"""
